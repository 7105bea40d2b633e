"""Render: SVG, HTML, Markdown and terminal pictures."""
