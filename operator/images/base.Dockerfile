# The base image where none can be pulled: a minimal Debian with Python, made by debootstrap and cut down.
FROM scratch
ADD rootfs.tar /
CMD ["/usr/bin/python3"]
