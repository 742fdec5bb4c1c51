"""What a task's result does to the database."""
