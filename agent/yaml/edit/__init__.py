"""A changed tree put into the text that it came from, so that nothing else changes; `splice` is the way in.

`values` puts new values over the old ones in a plain file. All else is for `attempts`: the `rewriter` walks the nodes of an `originals`
text beside the new tree, `items` adds and removes those of a map or list, and what comes out is read again and compared, until it says
what it should. `scalar_styles`, `list_comments` and `requoting` let a style outlive its encryption.
"""
