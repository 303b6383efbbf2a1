"""The models of the running server: loaded, downloaded, replaced; and the consent that a remote engine needs."""
