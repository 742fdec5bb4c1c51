"""One module per task; `docs/tasks.md` says how to add one."""
