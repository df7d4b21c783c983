"""The verbs as functions: what `import edgekd` gives, loaded when they are asked for."""
