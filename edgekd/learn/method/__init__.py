"""What a method is made of: losses and schemes as values, teachers, modules read by path, stages in pairs."""
