from inference.models.cli import app

app(prog_name="python -m inference.models")
