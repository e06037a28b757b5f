"""The compiler: what the files of a commit ask for, as sealed objects, and what of it is held. Pure: no port, and no secret opened."""
