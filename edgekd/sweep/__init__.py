"""Many students of one recipe: settings and seeds on one store, searched within the budget, to a frontier and a winner."""
