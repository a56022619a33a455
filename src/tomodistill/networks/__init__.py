"""Teachers and students as rows of one table, and the builder that makes Keras models of them."""
