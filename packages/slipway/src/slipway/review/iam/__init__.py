"""Who may do what: the policies of an assembly as sets of permissions, and what was gained and lost between two."""
