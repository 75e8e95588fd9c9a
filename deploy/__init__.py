"""Installs the platform on a Kubernetes cluster, and says what a cluster lacks. Needs kubectl, helm and Python 3.10."""
