"""Git hosts: what custody says beside a pull request."""
