"""The components of the page: a `.vue` file and its Python side each."""
