"""What a table shows as a picture: what is drawn (`series`, `comparison`), as SVG in HTML (`charts`), as `files`."""
