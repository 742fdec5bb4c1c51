"""The demo: real photographs, a video rendered from them whose truth is known to the frame, and what is found in it."""
