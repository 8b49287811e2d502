#!/bin/sh
# Install from the distribution what riskmap needs and this machine lacks: PostgreSQL 15 or newer
# with PostGIS, Python's venv, for tests and pictures Chromium with Chinese fonts, and for tests
# GDAL's programs and pgRouting. Nothing missing: silent and instant. Called by the Makefile with
# those of run, test, prove-reach and pictures that are wanted.
#
# Exit 2: something is missing that cannot be installed here; one sentence says what to do.
set -eu

OLDEST=15
PYTHON=${PYTHON:-python3}
updated=no

say() { printf '%s\n' "$1" "$2" >&2; }

refuse() {
    say "$1" "$2"
    exit 2
}

# Majors of the PostgreSQL servers here, newest first; $1: only those with PostGIS.
installed() {
    for folder in /usr/lib/postgresql/*/bin; do
        if [ ! -x "$folder/initdb" ] || [ ! -x "$folder/postgres" ]; then continue; fi
        major=${folder%/bin}
        major=${major##*/}
        case $major in *[!0-9]*) continue ;; esac
        [ "$major" -ge "$OLDEST" ] || continue
        [ -z "${1:-}" ] || [ -f "/usr/share/postgresql/$major/extension/postgis.control" ] || continue
        echo "$major"
    done | sort -rn
}

# A server of another make: riskmap itself says what is wrong with it.
has_database() {
    [ -n "${RISKMAP_PG_BIN:-}" ] || [ -n "$(installed postgis)" ] || elsewhere
}

elsewhere() {
    command -v pg_config >/dev/null && command -v initdb >/dev/null &&
        [ -f "$(pg_config --sharedir)/extension/postgis.control" ]
}

has_venv() { "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; }

# Majors that the distribution offers PostGIS for, newest first.
offered() {
    apt-cache search --names-only '^postgresql-[0-9]+-postgis-3$' |
        sed -n 's/^postgresql-\([0-9]*\)-postgis-3 .*/\1/p' | sort -rn |
        while read -r major; do
            [ "$major" -lt "$OLDEST" ] || echo "$major"
        done
}

# The browser that the tests drive; the service needs none.
lacks_browser() {
    case " $* " in *" test "* | *" pictures "*) ;; *) return 1 ;; esac
    { command -v chromium || command -v chromium-browser; } >/dev/null || return 0
    [ -z "$(find /usr/share/fonts /usr/local/share/fonts -iname '*cjk*' -print -quit 2>/dev/null)" ]
}

offers() { [ -n "$(apt-cache search --names-only "^$1\$")" ]; }

# Ubuntu's Chromium is a snap, which no test can drive: there one goes without.
install_browser() {
    offers chromium || update || true
    if offers chromium; then
        install chromium fonts-noto-cjk
    else
        say_no_browser
    fi
}

say_no_browser() {
    say "本机没有 Chromium 或中文字体,且无法在此安装:浏览器测试将跳过。" \
        "This machine lacks Chromium or Chinese fonts, and they cannot be installed here: the browser tests are skipped."
}

# A client that the tests let read the service.
lacks_gdal() {
    case " $* " in *" test "*) ;; *) return 1 ;; esac
    ! { command -v ogrinfo && command -v ogr2ogr; } >/dev/null
}

say_no_gdal() {
    say "本机没有 GDAL 的命令(ogrinfo),且无法在此安装:用它读取服务的测试将跳过。" \
        "This machine lacks GDAL's programs (ogrinfo), and they cannot be installed here: the tests that read the service by them are skipped."
}

# The peer that the tests compare travel times with, for the newest server here.
lacks_pgrouting() {
    case " $* " in *" test "* | *" prove-reach "*) ;; *) return 1 ;; esac
    major=$(installed postgis | head -n 1)
    [ -n "$major" ] && [ ! -f "/usr/share/postgresql/$major/extension/pgrouting.control" ]
}

install_pgrouting() {
    package="postgresql-$(installed postgis | head -n 1)-pgrouting"
    offers "$package" || update || true
    if offers "$package"; then
        install "$package"
    else
        say_no_pgrouting
    fi
}

say_no_pgrouting() {
    say "本机的 PostgreSQL 没有 pgRouting,且无法在此安装:与它比对的测试将跳过。" \
        "The PostgreSQL of this machine has no pgRouting, and it cannot be installed here: the tests that compare with it are skipped."
}

may_install() {
    command -v apt-get >/dev/null || return 1
    [ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; }
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -y -q -o DPkg::Lock::Timeout=300 "$@"
}

update() {
    [ "$updated" = no ] || return 1
    updated=yes
    apt update
}

# The package lists of a fresh machine are empty, those of an old one name files that are gone.
install() {
    say "正在安装软件包: $*" "Installing packages: $*"
    apt install --no-install-recommends "$@" && return
    update && apt install --no-install-recommends "$@" && return
    refuse "软件包 $* 安装失败:请查看上面 apt-get 的输出,改正后重试。" \
        "The packages $* could not be installed: see what apt-get said above, mend it and try again."
}

# Debian's server package makes and starts a cluster of its own unless it is told not to. What an
# administrator has decided stays.
without_main_cluster() {
    conf=/etc/postgresql-common/createcluster.conf
    [ -f "$conf" ] || install postgresql-common
    if ! grep -q '^[[:space:]]*create_main_cluster' "$conf"; then
        echo 'create_main_cluster = false' | as_root tee -a "$conf" >/dev/null
    fi
}

install_database() {
    majors=$(offered)
    if [ -z "$majors" ]; then
        update || true
        majors=$(offered)
    fi
    [ -n "$majors" ] || refuse \
        "本发行版不提供 PostgreSQL $OLDEST 或更高版本的 PostGIS 软件包:请自行安装二者并用 RISKMAP_PG_BIN 指出 initdb 所在文件夹。" \
        "This distribution has no package of PostGIS for PostgreSQL $OLDEST or newer: install both yourself and name the folder of initdb in RISKMAP_PG_BIN."
    chosen=$(echo "$majors" | head -n 1)
    for major in $(installed); do # a server that is here already and lacks only PostGIS
        if echo "$majors" | grep -qx "$major"; then
            chosen=$major
            break
        fi
    done
    [ -n "$(installed)" ] || without_main_cluster
    install "postgresql-$chosen" "postgresql-$chosen-postgis-3"
}

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || refuse \
    "需要 Python 3.11 或更高版本,而 $PYTHON 不是:请安装它,或运行 make PYTHON=其路径。" \
    "Python 3.11 or newer is needed and $PYTHON is not that: install it, or run make PYTHON=its-path."

missing=''
if ! has_venv; then missing="python3-venv"; fi
# A service on another server needs none here.
if [ "$*" != run ] || [ -z "${RISKMAP_DATABASE_URL:-}" ]; then
    has_database || missing="$missing postgresql(>=$OLDEST) postgis"
fi
if lacks_browser "$@"; then
    if may_install; then install_browser; else say_no_browser; fi
fi
if lacks_gdal "$@"; then
    if may_install; then install gdal-bin; else say_no_gdal; fi
fi
if [ -z "$missing" ]; then
    if lacks_pgrouting "$@"; then
        if may_install; then install_pgrouting; else say_no_pgrouting; fi
    fi
    exit 0
fi

command -v apt-get >/dev/null || refuse \
    "本机缺少 ${missing# },且没有 apt-get:请用系统的软件包管理器安装后重试。" \
    "This machine lacks ${missing# } and has no apt-get: install them with the system's package manager and try again."
may_install || refuse \
    "本机缺少 ${missing# },而当前用户无权安装:请让管理员安装(Debian 12: apt-get install python3-venv postgresql-15-postgis-3;Ubuntu 24.04: postgresql-16-postgis-3)后重试。" \
    "This machine lacks ${missing# } and this user may not install them: ask an administrator to (Debian 12: apt-get install python3-venv postgresql-15-postgis-3; Ubuntu 24.04: postgresql-16-postgis-3) and try again."

case $missing in *postgis*) install_database ;; esac
case $missing in *python3-venv*)
    install python3-venv
    has_venv || refuse \
        "$PYTHON 没有 ensurepip,发行版的 python3-venv 也不属于它:请运行 make PYTHON=/usr/bin/python3。" \
        "$PYTHON has no ensurepip and the distribution's python3-venv is not for it: run make PYTHON=/usr/bin/python3."
    ;;
esac
# Its server has to be there first.
if lacks_pgrouting "$@"; then install_pgrouting; fi
