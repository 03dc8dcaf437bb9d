"""Planning of a run: checks of its data, steps that suit them, and how long they will take."""
