/* Telling files apart. Sources: the format descriptions of zip (the local file header), HDF5 (the superblock),
 * gzip (RFC 1952), GGUF, and the pickle protocol of Python. */
#include "runtime/files/file_kind.h"

#include <string.h>

#define BEGINS(text) (n >= sizeof(text) - 1 && !memcmp(bytes, text, sizeof(text) - 1))

bool moire__is_npy(const char *bytes, size_t n) { return BEGINS("\x93NUMPY"); }

/* NumPy's archives and PyTorch's are zip files, which differ in the name of the first entry. */
static const char *kind_of_zip(const char *bytes, size_t n) {
  enum { NAME_LENGTH = 26, NAME = 30 };
  if (n > NAME) {
    size_t length = (unsigned char)bytes[NAME_LENGTH] | (size_t)(unsigned char)bytes[NAME_LENGTH + 1] << 8;
    if (length > n - NAME) length = n - NAME;
    const char *name = bytes + NAME, *slash = memchr(name, '/', length);
    if (length > 4 && !memcmp(name + length - 4, ".npy", 4))
      return "a .npz archive of NumPy, which is not read; save each array by numpy.save, or all by "
             "safetensors.numpy.save_file";
    if (slash && (memmem(name, length, "/data.pkl", 9) || memmem(name, length, "/.format_version", 16) ||
                  memmem(name, length, "/version", 8)))
      return "a pickle of PyTorch in a zip archive (torch.save), which is not read; load it in Python and save "
             "the "
             "tensors by safetensors.torch.save_file";
  }
  return "a zip archive, which is not read; unpack it";
}

static const char *kind_of_json(const char *bytes, size_t n) {
  return memmem(bytes, n > 65536 ? 65536 : n, "\"weight_map\"", 12)
             ? "the index of a checkpoint in parts, not a part; join the parts into one safetensors file"
             : "a text of JSON, not a file of tensors";
}

static bool is_text(const char *bytes, size_t n) {
  enum { LOOKED_AT = 64 };
  for (size_t i = 0; i < n && i < LOOKED_AT; i++) {
    if ((bytes[i] < ' ' || bytes[i] > '~') && !strchr("\t\r\n", bytes[i])) return false;
    if (!bytes[i]) return false;
  }
  return n > 0;
}

/* The header's length, in 8 bytes, and the brace that begins it: it may look like another file's magic. */
bool moire__is_safetensors(const char *bytes, size_t n) { return n > 8 && !memcmp(bytes + 4, "\0\0\0\0{", 5); }

const char *moire__file_kind(const char *bytes, size_t n) {
  if (moire__is_safetensors(bytes, n)) return NULL;
  if (BEGINS("PK\x03\x04") || BEGINS("PK\x05\x06")) return kind_of_zip(bytes, n);
  if (BEGINS("\x89HDF\r\n\x1a\n"))
    return "an HDF5 file, which is not read; save its arrays by safetensors.numpy.save_file or numpy.save";
  if (BEGINS("GGUF")) return "a GGUF file, which is not read; convert it to safetensors";
  if (BEGINS("\x1f\x8b")) return "compressed by gzip; unpack it first (gunzip)";
  if (BEGINS("{\"") || BEGINS("{ ") || BEGINS("{\n") || BEGINS("{\r\n")) return kind_of_json(bytes, n);
  if (BEGINS("\x80\x02") || BEGINS("\x80\x03") || BEGINS("\x80\x04") || BEGINS("\x80\x05"))
    return "a pickle of Python (torch.save or pickle.dump), which is not read; load it in Python and save the "
           "tensors by safetensors.torch.save_file";
  return is_text(bytes, n) ? "text, not a file of tensors (safetensors or .npy)" : NULL;
}
