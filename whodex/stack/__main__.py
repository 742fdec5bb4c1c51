from whodex.stack.commands import app

app()
