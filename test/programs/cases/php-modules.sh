# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# php with its extension modules. It opens them with RTLD_DEEPBIND, so that they find libc's free
# before any preloaded one, while php itself hands them blocks of the preloaded malloc: this
# crashes under a malloc replacement that does nothing about it.

programs=(php)

workload() {
    php -m | sort
    php -r 'echo extension_loaded("pdo") ? "pdo\n" : "no pdo\n", strtoupper("done"), "\n";'
    php -r '$n = 0;
        foreach (get_loaded_extensions() as $name)
            $n += count((new ReflectionExtension($name))->getFunctions());
        echo $n, "\n";'
}
