import sys

if "google.colab" in sys.modules:
    repo = "https://github.com/implicitly-book/implicitly"
    get_ipython().run_line_magic("pip", f"install -q git+{repo}")
