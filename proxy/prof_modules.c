/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Modules and symbols. A symbol is looked for by going through the whole symbol table of its
 * file (the full one, or the dynamic one of a stripped file): a report asks for some hundred.
 */
#define _GNU_SOURCE
#include "proxy/prof_modules.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base_alloc.h"

enum { MAPS_FIRST_BYTES = 256 * 1024, MAPS_MAX_BYTES = 64 * 1024 * 1024 };

/* ---- /proc/self/maps
 * -----------------------------------------------------------------------------------------------
 */

/* Reads the whole of it into new pages; 0: no. */
static size_t maps_read(char **text, size_t *mapped) {
    for (size_t room = MAPS_FIRST_BYTES; room <= MAPS_MAX_BYTES; room *= 4) {
        int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
        char *pages = fd >= 0 ? base_map(room) : NULL;
        size_t used = 0;
        ssize_t got = 0;
        while (pages != NULL && used < room - 1 &&
               (got = read(fd, pages + used, room - 1 - used)) > 0) {
            used += (size_t)got;
        }
        if (fd >= 0) {
            close(fd);
        }
        if (pages == NULL) {
            return 0;
        }
        if (used < room - 1) {
            *text = pages;
            *mapped = room;
            return used;
        }
        base_unmap(pages, room);
    }
    return 0;
}

static const char *parse_hex(const char *at, uintptr_t *value) {
    *value = 0;
    for (;; at++) {
        unsigned digit = *at >= '0' && *at <= '9'   ? (unsigned)(*at - '0')
                         : *at >= 'a' && *at <= 'f' ? (unsigned)(*at - 'a') + 10
                                                    : 16;
        if (digit == 16) {
            return at;
        }
        *value = *value * 16 + digit;
    }
}

/* start-end perms offset device inode   path */
static bool parse_line(const char *line, prof_module_t *module) {
    *module = (prof_module_t){0};
    const char *at = parse_hex(line, &module->start);
    if (*at != '-') {
        return false;
    }
    at = parse_hex(at + 1, &module->end);
    bool executable = strlen(at) > 5 && at[3] == 'x';
    if (!executable) {
        return false;
    }
    at = parse_hex(at + 6, &module->offset);
    for (int fields = 0; fields < 2; fields++) { // device, inode
        at += strspn(at, " ");
        at += strcspn(at, " ");
    }
    module->path = at + strspn(at, " ");
    return true;
}

bool prof_modules_read(prof_modules_t *modules) {
    *modules = (prof_modules_t){0};
    modules->text_bytes = maps_read(&modules->text, &modules->text_mapped);
    if (modules->text_bytes == 0) {
        return false;
    }
    size_t lines = 1;
    for (size_t i = 0; i < modules->text_bytes; i++) {
        lines += modules->text[i] == '\n';
    }
    modules->names = base_map(modules->text_mapped);
    modules->module_mapped = lines * sizeof(prof_module_t);
    modules->module = base_map(modules->module_mapped);
    if (modules->names == NULL || modules->module == NULL) {
        prof_modules_drop(modules);
        return false;
    }
    memcpy(modules->names, modules->text, modules->text_bytes);
    for (char *line = modules->names; *line != '\0';) {
        char *end = strchr(line, '\n');
        if (end == NULL) {
            break;
        }
        *end = '\0';
        if (parse_line(line, &modules->module[modules->count])) {
            modules->count++;
        }
        line = end + 1;
    }
    return true;
}

void prof_modules_drop(prof_modules_t *modules) {
    for (size_t i = 0; i < modules->count; i++) {
        prof_module_t *module = &modules->module[i];
        if (module->file != NULL) {
            munmap((void *)(uintptr_t)module->file, module->file_bytes);
        }
    }
    base_unmap(modules->module, modules->module_mapped);
    base_unmap(modules->names, modules->text_mapped);
    base_unmap(modules->text, modules->text_mapped);
    *modules = (prof_modules_t){0};
}

prof_module_t *prof_modules_find(const prof_modules_t *modules, uintptr_t address) {
    size_t low = 0, high = modules->count; // in the order of addresses
    while (low < high) {
        size_t middle = (low + high) / 2;
        prof_module_t *module = &modules->module[middle];
        if (address < module->start) {
            high = middle;
        } else if (address >= module->end) {
            low = middle + 1;
        } else {
            return module;
        }
    }
    return NULL;
}

/* ---- the files
 * ------------------------------------------------------------------------------------------------------
 */

/* Is [offset, offset + bytes) inside the file? */
static bool in_file(const prof_module_t *module, uint64_t offset, uint64_t bytes) {
    return offset <= module->file_bytes && bytes <= module->file_bytes - offset;
}

static const ElfW(Ehdr) * file_head(const prof_module_t *module) {
    const ElfW(Ehdr) *head = (const ElfW(Ehdr) *)module->file;
    bool good = module->file_bytes >= sizeof(*head) &&
                memcmp(head->e_ident, ELFMAG, SELFMAG) == 0 &&
                head->e_ident[EI_CLASS] == ELFCLASS64 &&
                in_file(module, head->e_phoff, (uint64_t)head->e_phnum * sizeof(ElfW(Phdr)));
    return good ? head : NULL;
}

/* Maps the file and finds out where it was loaded. */
static void file_open(prof_module_t *module) {
    module->tried = true;
    module->bias = module->start - module->offset;
    int fd = module->path[0] == '/' ? open(module->path, O_RDONLY | O_CLOEXEC) : -1;
    struct stat info;
    if (fd < 0) {
        return;
    }
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0) {
        void *file = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        module->file = file != MAP_FAILED ? file : NULL;
        module->file_bytes = (size_t)info.st_size;
    }
    close(fd);
    const ElfW(Ehdr) *head = module->file != NULL ? file_head(module) : NULL;
    for (unsigned i = 0; head != NULL && i < head->e_phnum; i++) {
        const ElfW(Phdr) *part = (const ElfW(Phdr) *)(module->file + head->e_phoff) + i;
        if (part->p_type == PT_LOAD && module->offset >= align_down(part->p_offset, 4096) &&
            module->offset < part->p_offset + part->p_filesz) {
            module->bias = module->start - module->offset - (part->p_vaddr - part->p_offset);
        }
    }
}

/* The function of the table that covers the address, if there is one. */
static void table_search(const prof_module_t *module, const ElfW(Ehdr) * head,
                         const ElfW(Shdr) * table, prof_symbol_t *symbol) {
    const ElfW(Shdr) *sections = (const ElfW(Shdr) *)(module->file + head->e_shoff);
    if (table->sh_link >= head->e_shnum || !in_file(module, table->sh_offset, table->sh_size)) {
        return;
    }
    const ElfW(Shdr) *strings = &sections[table->sh_link];
    if (!in_file(module, strings->sh_offset, strings->sh_size) || strings->sh_size == 0 ||
        module->file[strings->sh_offset + strings->sh_size - 1] != '\0') {
        return;
    }
    const ElfW(Sym) *entry = (const ElfW(Sym) *)(module->file + table->sh_offset);
    size_t count = table->sh_size / sizeof(*entry);
    for (size_t i = 0; i < count; i++, entry++) {
        uintptr_t offset = symbol->module_offset - entry->st_value;
        unsigned type = ELF64_ST_TYPE(entry->st_info);
        if ((type == STT_FUNC || type == STT_GNU_IFUNC) && entry->st_shndx != SHN_UNDEF &&
            symbol->module_offset >= entry->st_value &&
            (offset < entry->st_size || (entry->st_size == 0 && offset == 0)) &&
            entry->st_name < strings->sh_size) {
            symbol->function = module->file + strings->sh_offset + entry->st_name;
            symbol->function_offset = offset;
            return;
        }
    }
}

static void file_search(const prof_module_t *module, prof_symbol_t *symbol) {
    static const ElfW(Word) types[] = {SHT_SYMTAB, SHT_DYNSYM};
    const ElfW(Ehdr) *head = file_head(module);
    if (head == NULL || head->e_shentsize != sizeof(ElfW(Shdr)) ||
        !in_file(module, head->e_shoff, (uint64_t)head->e_shnum * sizeof(ElfW(Shdr)))) {
        return;
    }
    const ElfW(Shdr) *sections = (const ElfW(Shdr) *)(module->file + head->e_shoff);
    for (size_t t = 0; t < ARRAY_LENGTH(types); t++) {
        for (unsigned i = 0; i < head->e_shnum && symbol->function == NULL; i++) {
            if (sections[i].sh_type == types[t]) {
                table_search(module, head, &sections[i], symbol);
            }
        }
    }
}

prof_symbol_t prof_modules_symbol(const prof_modules_t *modules, uintptr_t address) {
    prof_symbol_t symbol = {.module_name = "[unknown]", .module_offset = address};
    prof_module_t *module = prof_modules_find(modules, address);
    if (module == NULL) {
        return symbol;
    }
    if (!module->tried) {
        file_open(module);
    }
    const char *slash = strrchr(module->path, '/');
    symbol.module = module;
    symbol.module_name = slash != NULL           ? slash + 1
                         : *module->path != '\0' ? module->path
                                                 : "[anon]";
    symbol.module_offset = address - module->bias;
    if (module->file != NULL) {
        file_search(module, &symbol);
    }
    return symbol;
}
