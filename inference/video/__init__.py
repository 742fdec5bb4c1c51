"""Videos: decoded once, cut into shots, sampled, and their faces followed through each shot."""
