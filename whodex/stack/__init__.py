"""The local stack: every real part as a supervised child process, with its state in one directory."""
