"""Published datasets in the project's data format: a survey of what is there, then the writing of it."""
