"""Tables as text: one file per format (markdown, latex, html); words and notes hold what all of them say."""
