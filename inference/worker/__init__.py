"""The Celery workers: they claim work from the api_server, do it, and give the result back."""
