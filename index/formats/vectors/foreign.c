#include "index/formats/vectors/foreign.h"

#include <string.h>

#include "base/fail.h"

enum { NAME_MOST = 240 };

#define PYTHON(code) "python3 -c \"" code "\""
#define PICKLE PYTHON("import numpy, pickle; numpy.save('x.npy', pickle.load(open('x.pkl', 'rb')))")

const lk_foreign_format lk_foreign_formats[] = {
    {"Python pickle, which may run code", ".pkl .pickle .p", "\x80\x02", PICKLE},
    {"Python pickle, which may run code", "", "\x80\x03", PICKLE},
    {"Python pickle, which may run code", "", "\x80\x04", PICKLE},
    {"Python pickle, which may run code", "", "\x80\x05", PICKLE},
    {"PyTorch file, which may run code", ".pt .pth .ckpt", "",
     PYTHON("import numpy, torch; numpy.save('x.npy', torch.load('x.pt').cpu().numpy())")},
    {"joblib file, which may run code", ".joblib", "",
     PYTHON("import joblib, numpy; numpy.save('x.npy', joblib.load('x.joblib'))")},
    {"Parquet file", ".parquet", "PAR1",
     PYTHON("import numpy, pandas; numpy.save('x.npy', numpy.stack(pandas.read_parquet('x.parquet')['embedding']))")},
    {"Feather file", ".feather .arrow", "ARROW1",
     PYTHON("import numpy, pandas; numpy.save('x.npy', numpy.stack(pandas.read_feather('x.feather')['embedding']))")},
    {"MATLAB file", ".mat", "MATLAB ",
     PYTHON("import numpy, scipy.io; numpy.save('x.npy', scipy.io.loadmat('x.mat')['embeddings'])")},
    {"safetensors file", ".safetensors", "",
     PYTHON("import numpy, safetensors.numpy as s; numpy.save('x.npy', s.load_file('x.safetensors')['embeddings'])")},
    {"FAISS index", ".faiss .index", "IxF",
     PYTHON("import faiss, numpy; i = faiss.read_index('x.faiss'); numpy.save('x.npy', i.reconstruct_n(0, i.ntotal))")},
    {"JSON file", ".json .jsonl", "", PYTHON("import json, numpy; numpy.save('x.npy', json.load(open('x.json')))")},
    {"spreadsheet", ".xlsx .xls .ods", "",
     PYTHON("import numpy, pandas; numpy.save('x.npy', pandas.read_excel('x.xlsx').to_numpy())")},
    {"gzip file", ".gz", "\x1f\x8b", "gunzip x.npy.gz"},
    {0}};

/* The command matters more than a long path, of which the end is shown. */
static lk_status refuse(const lk_vector_source *source, const lk_foreign_format *format, lk_error *error) {
  size_t length = strlen(source->name), cut = length > NAME_MOST ? length - NAME_MOST : 0;
  return lk_fail(error, LK_EFORMAT, "%s%s: a %s; it is not read. Convert it: %s", cut > 0 ? "..." : "",
                 source->name + cut, format->name, format->convert);
}

lk_status lk_foreign_refuse_name(const lk_vector_source *source, lk_error *error) {
  for (const lk_foreign_format *f = lk_foreign_formats; f->name != NULL; f++)
    if (lk_vector_format_is_named(f->endings, source->path)) return refuse(source, f, error);
  return LK_OK;
}

lk_status lk_foreign_refuse_content(const lk_vector_source *source, lk_error *error) {
  for (const lk_foreign_format *f = lk_foreign_formats; f->name != NULL; f++) {
    size_t length = strlen(f->magic);
    if (length > 0 && source->file.size >= length && memcmp(source->file.data, f->magic, length) == 0)
      return refuse(source, f, error);
  }
  return LK_OK;
}
