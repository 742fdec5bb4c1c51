"""For those who run a deployment: what waits, and whether every task really works."""
