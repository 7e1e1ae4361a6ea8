"""Run a notebook that somebody else wrote: in a place of its own, under limits. It knows of no marks and no class."""
