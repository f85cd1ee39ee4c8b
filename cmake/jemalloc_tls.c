/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Build tool: takes jemalloc's thread data out of the static TLS block.
 *
 * Distributions compile jemalloc for the initial-exec TLS model. Its one thread-local object (2.6
 * KiB) must then lie in the static TLS block of every thread, and what glibc keeps free there for
 * libraries that come by dlopen is less than that. This tool rewrites a relocatable x86-64 object
 * (the output of `ld -r`) so that the object is found through one thread-local word instead:
 *
 *   mov  object@gottpoff(%rip), %reg          jmp  thunk
 *                                      -->    thunk: mov  word@gottpoff(%rip), %reg
 *                                                    mov  %fs:(%reg), %reg
 *                                                    jmp  back
 *
 * Both leave in %reg the distance from the thread pointer to the object. The word belongs to the
 * program that links the result; it must be set before the thread calls any function of the object.
 * The `add` form of the access is handled likewise. What was the initial image of the object
 * becomes constant data. All symbols are made hidden on the way.
 *
 *   jemalloc_tls INPUT OUTPUT
 *
 * Exit 1 with one line when the object is not what is described here; then nothing is written.
 */
#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char SYMBOL_WORD[] = "umf_jemalloc_tsd_offset"; /* thread-local; defined elsewhere */
static const char SYMBOL_IMAGE_END[] =
    "umf_jemalloc_tsd_image_end"; /* behind the image; defined here */
static const char SYMBOL_THUNKS[] = "umf_jemalloc_tls_thunks";
static const char SECTION_IMAGE[] = ".rodata.umf_jemalloc_tsd";
static const char SECTION_THUNKS[] = ".text.umf_jemalloc_tls";
static const char SECTION_THUNKS_RELA[] = ".rela.text.umf_jemalloc_tls";

enum {
    THUNK_BYTES_MAX = 48,
    NEW_SYMBOLS = 3,
    NEW_SECTIONS = 2,
    RELOCATIONS_PER_THUNK = 2,
    /* An access is REX, opcode, ModRM, 4 bytes of displacement; relocations point at the last. */
    ACCESS_HEAD = 3,
    ACCESS_BYTES = 7,
};

typedef struct buffer {
    uint8_t *data;
    size_t size;
} buffer_t;

/* What is added to the object. */
typedef struct additions {
    buffer_t thunks;
    buffer_t rela;
    uint32_t thunks_symbol, word_symbol; /* indices in the symbol table */
} additions_t;

typedef struct object {
    uint8_t *data;
    size_t size;
    Elf64_Ehdr *header;
    Elf64_Shdr *section;
    Elf64_Shdr *symtab;
    Elf64_Sym *symbol;
    size_t symbols;
    uint32_t tls; /* symbol of the thread-local object */
} object_t;

_Noreturn static void fail(const char *what) {
    fprintf(stderr, "jemalloc_tls: %s\n", what);
    exit(1);
}

static void append(buffer_t *buffer, const void *bytes, size_t size) {
    uint8_t *grown = realloc(buffer->data, buffer->size + size);
    if (grown == NULL) {
        fail("out of memory");
    }
    memcpy(grown + buffer->size, bytes, size);
    buffer->data = grown;
    buffer->size += size;
}

/* Appends with padding in front; returns where it begins. */
static size_t append_aligned(buffer_t *buffer, const void *bytes, size_t size, size_t alignment) {
    static const uint8_t zero[64];
    append(buffer, zero, (alignment - buffer->size % alignment) % alignment);
    size_t at = buffer->size;
    append(buffer, bytes, size);
    return at;
}

static uint32_t append_string(buffer_t *strings, const char *text) {
    uint32_t at = (uint32_t)strings->size;
    append(strings, text, strlen(text) + 1);
    return at;
}

static buffer_t file_read(const char *path) {
    buffer_t file = {NULL, 0};
    FILE *stream = fopen(path, "rb");
    if (stream == NULL) {
        fail("the input can not be opened");
    }
    uint8_t part[65536];
    size_t count;
    while ((count = fread(part, 1, sizeof(part), stream)) > 0) {
        append(&file, part, count);
    }
    fclose(stream);
    return file;
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool range_inside(const object_t *object, uint64_t offset, uint64_t size) {
    return offset <= object->size && size <= object->size - offset;
}

static void object_check_sections(const object_t *object) {
    for (size_t i = 0; i < object->header->e_shnum; i++) {
        const Elf64_Shdr *section = &object->section[i];
        if (section->sh_type != SHT_NOBITS &&
            !range_inside(object, section->sh_offset, section->sh_size)) {
            fail("a section reaches beyond the file");
        }
        if (section->sh_link >= object->header->e_shnum) {
            fail("a section refers to one that does not exist");
        }
    }
}

/* The one thread-local symbol; it must be a whole section. */
static uint32_t object_find_tls(const object_t *object) {
    uint32_t found = 0;
    for (size_t i = 1; i < object->symbols; i++) {
        const Elf64_Sym *symbol = &object->symbol[i];
        if (ELF64_ST_TYPE(symbol->st_info) != STT_TLS) {
            continue;
        }
        if (found != 0) {
            fail("more than one thread-local object");
        }
        found = (uint32_t)i;
    }
    if (found == 0) {
        fail("no thread-local object");
    }
    const Elf64_Sym *symbol = &object->symbol[found];
    if (symbol->st_shndx == SHN_UNDEF || symbol->st_shndx >= object->header->e_shnum) {
        fail("the thread-local object is not defined here");
    }
    const Elf64_Shdr *section = &object->section[symbol->st_shndx];
    if (section->sh_type != SHT_PROGBITS || symbol->st_value != 0 ||
        symbol->st_size != section->sh_size) {
        fail("the thread-local object is not the whole of an initialised section");
    }
    return found;
}

static void object_open(object_t *object, buffer_t file) {
    object->data = file.data;
    object->size = file.size;
    object->header = (Elf64_Ehdr *)file.data;
    if (file.size < sizeof(Elf64_Ehdr) || memcmp(file.data, ELFMAG, SELFMAG) != 0 ||
        file.data[EI_CLASS] != ELFCLASS64 || file.data[EI_DATA] != ELFDATA2LSB ||
        object->header->e_machine != EM_X86_64 || object->header->e_type != ET_REL ||
        !range_inside(object, object->header->e_shoff,
                      (uint64_t)object->header->e_shnum * sizeof(Elf64_Shdr)) ||
        object->header->e_shstrndx >= object->header->e_shnum) {
        fail("the input is no relocatable x86-64 object");
    }
    object->section = (Elf64_Shdr *)(file.data + object->header->e_shoff);
    object_check_sections(object);
    for (size_t i = 0; i < object->header->e_shnum; i++) {
        if (object->section[i].sh_type == SHT_SYMTAB) {
            object->symtab = &object->section[i];
        }
    }
    if (object->symtab == NULL) {
        fail("no symbol table");
    }
    object->symbol = (Elf64_Sym *)(file.data + object->symtab->sh_offset);
    object->symbols = object->symtab->sh_size / sizeof(Elf64_Sym);
    object->tls = object_find_tls(object);
}

static uint32_t object_section_symbol(const object_t *object, size_t section) {
    for (size_t i = 1; i < object->symbols; i++) {
        if (ELF64_ST_TYPE(object->symbol[i].st_info) == STT_SECTION &&
            object->symbol[i].st_shndx == section) {
            return (uint32_t)i;
        }
    }
    fail("a section with code has no symbol");
}

/* ---- rewriting ------------------------------------------------------------------------------- */

static void thunk_relocation(additions_t *added, size_t at, uint32_t symbol, uint32_t type,
                             int64_t addend) {
    Elf64_Rela rela = {.r_offset = at, .r_info = ELF64_R_INFO(symbol, type), .r_addend = addend};
    append(&added->rela, &rela, sizeof(rela));
}

/* mov word@gottpoff(%rip), %reg; mov %fs:(%reg), %reg */
static void thunk_load(additions_t *added, unsigned reg) {
    uint8_t high = reg >> 3, low = reg & 7;
    const uint8_t load_got[] = {
        0x48 | (uint8_t)(high << 2), 0x8b, (uint8_t)(low << 3 | 5), 0, 0, 0, 0};
    append(&added->thunks, load_got, sizeof(load_got));
    thunk_relocation(added, added->thunks.size - 4, added->word_symbol, R_X86_64_GOTTPOFF, -4);
    // ModRM 01: with a displacement of 0, which the encodings of rbp and r13 need; rsp and r12 need
    // a SIB byte as well
    const uint8_t load_fs[] = {0x64, 0x48 | (uint8_t)(high << 2 | high), 0x8b,
                               (uint8_t)(0x40 | low << 3 | low)};
    append(&added->thunks, load_fs, sizeof(load_fs));
    if (low == 4) {
        append(&added->thunks, &(uint8_t){0x24}, 1);
    }
    append(&added->thunks, &(uint8_t){0}, 1);
}

/* Adds the distance to %reg with the help of another register; the red zone below the stack stays
 * untouched. */
static void thunk_add(additions_t *added, unsigned reg) {
    uint8_t helper = reg == 0 ? 1 : 0;                                  // rcx : rax
    static const uint8_t stack_down[] = {0x48, 0x8d, 0x64, 0x24, 0x80}; // lea -128(%rsp), %rsp
    append(&added->thunks, stack_down, sizeof(stack_down));
    append(&added->thunks, &(uint8_t){0x50 | helper}, 1); // push
    thunk_load(added, helper);
    const uint8_t add[] = {0x48 | (uint8_t)(reg >> 3), 0x01,
                           (uint8_t)(0xc0 | helper << 3 | (reg & 7)), 0x58 | helper /* pop */};
    append(&added->thunks, add, sizeof(add));
    static const uint8_t stack_up[] = {0x48, 0x8d, 0xa4, 0x24,
                                       0x80, 0,    0,    0}; // lea 128(%rsp), %rsp
    append(&added->thunks, stack_up, sizeof(stack_up));
}

/* Replaces one access. */
static void access_rewrite(const object_t *object, size_t code, Elf64_Rela *rela,
                           additions_t *added) {
    const Elf64_Shdr *section = &object->section[code];
    if (rela->r_offset < ACCESS_HEAD || rela->r_offset + 4 > section->sh_size ||
        rela->r_addend != -4) {
        fail("an access lies outside of its section");
    }
    uint8_t *head = object->data + section->sh_offset + rela->r_offset - ACCESS_HEAD;
    bool is_mov = head[1] == 0x8b;
    if ((head[0] & 0xfb) != 0x48 || (!is_mov && head[1] != 0x03) || (head[2] & 0xc7) != 0x05) {
        fail("an access is neither `mov` nor `add` of an initial-exec offset to a register");
    }
    unsigned reg = (unsigned)(head[0] & 4) << 1 | (head[2] >> 3 & 7);
    if (reg == 4) {
        fail("an access loads the stack pointer");
    }
    size_t thunk = added->thunks.size;
    (is_mov ? thunk_load : thunk_add)(added, reg);
    static const uint8_t jump[] = {0xe9, 0, 0, 0, 0};
    append(&added->thunks, jump, sizeof(jump));
    thunk_relocation(
        added, added->thunks.size - 4, object_section_symbol(object, code), R_X86_64_PC32,
        (int64_t)rela->r_offset /* the byte behind the access is 4 on, the jump's end too */);

    static const uint8_t site[ACCESS_BYTES] = {0xe9, 0, 0, 0, 0, 0x66, 0x90}; // jmp; 2-byte nop
    memcpy(head, site, sizeof(site));
    rela->r_offset -= 2;
    rela->r_info = ELF64_R_INFO(added->thunks_symbol, R_X86_64_PC32);
    rela->r_addend = (int64_t)thunk - 4;
}

static bool is_tls_relocation(uint32_t type) {
    return (type >= R_X86_64_DTPMOD64 && type <= R_X86_64_TPOFF32) ||
           (type >= R_X86_64_GOTPC32_TLSDESC && type <= R_X86_64_TLSDESC);
}

static void accesses_rewrite(const object_t *object, additions_t *added) {
    for (size_t i = 0; i < object->header->e_shnum; i++) {
        const Elf64_Shdr *section = &object->section[i];
        if (section->sh_type != SHT_RELA) {
            continue;
        }
        Elf64_Rela *rela = (Elf64_Rela *)(object->data + section->sh_offset);
        for (size_t k = 0; k < section->sh_size / sizeof(Elf64_Rela); k++) {
            uint32_t type = (uint32_t)ELF64_R_TYPE(rela[k].r_info);
            bool to_object = ELF64_R_SYM(rela[k].r_info) == object->tls;
            if (to_object != is_tls_relocation(type) || (to_object && type != R_X86_64_GOTTPOFF)) {
                fail("the thread-local object is accessed in another model than initial-exec");
            }
            if (to_object) {
                access_rewrite(object, section->sh_info, &rela[k], added);
            }
        }
    }
    if (added->thunks.size == 0) {
        fail("nothing accesses the thread-local object");
    }
}

/* The symbol table with the new symbols; names go to `strings`. */
static buffer_t symbols_extend(const object_t *object, buffer_t *strings, uint16_t thunks_section) {
    buffer_t symbols = {NULL, 0};
    append(&symbols, object->symbol, object->symbols * sizeof(Elf64_Sym));
    Elf64_Sym *symbol = (Elf64_Sym *)symbols.data;
    for (size_t i = object->symtab->sh_info; i < object->symbols; i++) {
        if (symbol[i].st_shndx != SHN_UNDEF) {
            symbol[i].st_other = STV_HIDDEN;
        }
    }
    Elf64_Sym *tls = &symbol[object->tls];
    tls->st_info = ELF64_ST_INFO(ELF64_ST_BIND(tls->st_info), STT_OBJECT);
    const Elf64_Sym added[NEW_SYMBOLS] = {
        {.st_name = append_string(strings, SYMBOL_THUNKS),
         .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE),
         .st_other = STV_HIDDEN,
         .st_shndx = thunks_section},
        {.st_name = append_string(strings, SYMBOL_WORD),
         .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_TLS),
         .st_shndx = SHN_UNDEF},
        {.st_name = append_string(strings, SYMBOL_IMAGE_END),
         .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE),
         .st_other = STV_HIDDEN,
         .st_shndx = tls->st_shndx,
         .st_value = tls->st_size},
    };
    append(&symbols, added, sizeof(added));
    return symbols;
}

static buffer_t section_copy(const object_t *object, const Elf64_Shdr *section) {
    buffer_t copy = {NULL, 0};
    append(&copy, object->data + section->sh_offset, section->sh_size);
    return copy;
}

/* Places `content` at the end of the file and makes `section` say so. */
static void section_place(buffer_t *file, Elf64_Shdr *section, const buffer_t *content) {
    section->sh_offset = append_aligned(file, content->data, content->size,
                                        section->sh_addralign > 0 ? section->sh_addralign : 1);
    section->sh_size = content->size;
}

static buffer_t object_rewrite(object_t *object) {
    size_t old_sections = object->header->e_shnum;
    additions_t added = {.thunks_symbol = (uint32_t)object->symbols,
                         .word_symbol = (uint32_t)object->symbols + 1};
    accesses_rewrite(object, &added);

    size_t symtab = (size_t)(object->symtab - object->section);
    size_t strtab = object->symtab->sh_link;
    size_t names = object->header->e_shstrndx;
    buffer_t table = {NULL, 0};
    append(&table, object->section, old_sections * sizeof(Elf64_Shdr));
    append(&table, (Elf64_Shdr[NEW_SECTIONS]){{0}}, NEW_SECTIONS * sizeof(Elf64_Shdr));
    Elf64_Shdr *section = (Elf64_Shdr *)table.data;

    buffer_t name_text = section_copy(object, &section[names]);
    buffer_t symbol_text = section_copy(object, &section[strtab]);
    if (names == strtab) {
        fail("symbols and sections share one table of names");
    }
    buffer_t symbols = symbols_extend(object, &symbol_text, (uint16_t)old_sections);
    Elf64_Shdr *image = &section[object->symbol[object->tls].st_shndx];
    image->sh_name = append_string(&name_text, SECTION_IMAGE);
    image->sh_flags = SHF_ALLOC;
    section[old_sections] = (Elf64_Shdr){.sh_name = append_string(&name_text, SECTION_THUNKS),
                                         .sh_type = SHT_PROGBITS,
                                         .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
                                         .sh_addralign = 16};
    section[old_sections + 1] =
        (Elf64_Shdr){.sh_name = append_string(&name_text, SECTION_THUNKS_RELA),
                     .sh_type = SHT_RELA,
                     .sh_flags = SHF_INFO_LINK,
                     .sh_link = (uint32_t)symtab,
                     .sh_info = (uint32_t)old_sections,
                     .sh_addralign = 8,
                     .sh_entsize = sizeof(Elf64_Rela)};
    buffer_t file = {NULL, 0};
    append(&file, object->data, object->size);
    section_place(&file, &section[symtab], &symbols);
    section_place(&file, &section[strtab], &symbol_text);
    section_place(&file, &section[names], &name_text);
    section_place(&file, &section[old_sections], &added.thunks);
    section_place(&file, &section[old_sections + 1], &added.rela);
    size_t table_at = append_aligned(&file, table.data, table.size, 8);
    Elf64_Ehdr *header = (Elf64_Ehdr *)file.data;
    header->e_shoff = table_at;
    header->e_shnum = (uint16_t)(old_sections + NEW_SECTIONS);
    return file; // the other buffers live until the tool ends
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fail("usage: jemalloc_tls INPUT OUTPUT");
    }
    object_t object = {0};
    object_open(&object, file_read(argv[1]));
    buffer_t result = object_rewrite(&object);
    FILE *stream = fopen(argv[2], "wb");
    if (stream == NULL || fwrite(result.data, 1, result.size, stream) != result.size ||
        fclose(stream) != 0) {
        remove(argv[2]);
        fail("the output can not be written");
    }
    return 0;
}
