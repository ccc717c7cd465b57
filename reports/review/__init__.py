"""What a careful reviewer would object, by what the objections look at."""
