"""The models' life in the server: loaded, downloaded, agreed to, replaced."""
