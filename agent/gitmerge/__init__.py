"""How Git merges encrypted files: three trees become one, conflicts stay encrypted."""
