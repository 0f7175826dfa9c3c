"""Tools of the project itself: they run from a checkout, not from the installed package."""
