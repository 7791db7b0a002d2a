"""Records of studies: listed (`runs`), removed (`rm`), packed, unpacked, imported."""
