"""The face models: where they come from, how they are prepared, what their numbers mean."""
