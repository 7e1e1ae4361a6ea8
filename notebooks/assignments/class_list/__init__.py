"""The class: who is in it, who handed in what and when, the table of marks, and what goes back to the platform."""
