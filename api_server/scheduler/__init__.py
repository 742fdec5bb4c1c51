"""What has to happen without being asked: doorbells, expired leases, garbage. `python -m api_server.scheduler`."""
