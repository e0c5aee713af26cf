"""The Git repository: objects, refs, working tree, notes. The one home of pygit2 and GitPython."""
