#!/bin/bash
# executable.sh PYTHON PROJECT OUT ARCH: OUT/userspace/ by PyInstaller, and its archive.
# The same input gives the same bytes, wherever and whenever: no date, no place, no
# random order, no owner gets in. Runs inside the build root; see tools/build.sh.
set -eu
python=$1 project=$2 out=$3 arch=$4
export PYTHONHASHSEED=0 PYTHONPATH=$project LC_ALL=C.UTF-8
export SOURCE_DATE_EPOCH=1577836800 # 2020: any day that is always the same
umask 022

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$project"
"$python" -m PyInstaller --noconfirm --log-level WARN --distpath "$work" --workpath "$work/work" build.spec

# Where CPython's own objects are at hand, what was collected is frozen into a program
# that starts twice as fast as PyInstaller's (docs/explanation/performance.md).
objects=/usr/src/python
if [ -d "$objects/build" ]; then
    mv "$work/userspace" "$work/collected"
    mkdir "$work/userspace"
    "$python" tools/freeze/freeze.py "$objects" "$objects/build" cni_userspace "$work/userspace/userspace"
    "$python" tools/freeze/library.py "$work/collected" "$work/userspace/lib"
    "$python" tools/executable/licenses.py "$work/userspace/lib" "$work/userspace/licenses"
fi

cd "$work/userspace"
cp "$project/LICENSE" "$project/install/install.sh" .
chmod -R u=rwX,go=rX .

# The highest version of glibc that a file in here asks for.
glibc=$(find . -type f -exec objdump -T {} + 2>/dev/null | grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -n 1)
{
    cat /etc/built-of 2>/dev/null || "$python" -VV
    "$python" -m pip list --format freeze | grep -viE '^(cni.userspace|pip|setuptools)\b' | sed 's/==/ /'
    echo "needs glibc ${glibc#GLIBC_}"
} >BUILT-OF

version=$("$python" -c 'import cni_userspace; print(cni_userspace.__version__)')
content=$(find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-12)
echo "$version-$content" >VERSION

archive=userspace-$version-linux-$arch.tar.gz
cd ..
tar --sort=name --format=gnu --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
    --transform "s,^userspace,${archive%.tar.gz},S" -cf - userspace | gzip -9n >"$archive"
sha256sum "$archive" >"$archive.sha256"

rm -rf "$out/userspace" "$out"/userspace-*.tar.gz*
cp -r userspace "$archive" "$archive.sha256" "$out/"
