"""Google's own REST clients, unmodified, against our server. What each needs of a user is in docs/rest.md."""
