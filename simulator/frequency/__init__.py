"""The frequency family: secondary frequency control of a 68-bus grid."""
