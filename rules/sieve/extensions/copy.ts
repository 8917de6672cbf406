/** `:copy` for fileinto, redirect and pipe: the implicit keep stays. RFC 3894. */
import type { Extension } from '../spec.ts';

const tags = [{ name: 'copy' }];
export const copy: Extension = { name: 'copy', tags: { fileinto: tags, redirect: tags, pipe: tags } };
