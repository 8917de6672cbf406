/** Tell mail of lists, mass mail and automatic mail by its own header. RFC 2919, RFC 2369, RFC 3834, RFC 8058. */
import { definePlugin, type Headers } from 'mailfilter/plugin';

export default definePlugin({
  name: 'bulk',
  kind: 'score',
  reads: ['header:*'],
  options: {
    listScore: { type: 'number', default: 0, description: 'Points of mail of a list.' },
    bulkScore: { type: 'number', default: 0, description: 'Points of mass mail that is of no list.' },
  },
  hooks: {
    message({ message: { headers } }, { options }) {
      const listId = listIdOf(headers);
      const unsubscribe = headers.has('List-Unsubscribe');
      const oneClick = canUnsubscribeAtOnce(headers);
      const list = listId !== undefined || headers.has('List-Post');
      const precedence = headers.get('Precedence')?.trim().toLowerCase();
      const bulk = list || unsubscribe || ['bulk', 'list', 'junk'].includes(precedence ?? '');
      // RFC 3834 section 5: whatever is there but `no` says that no person sent it.
      const submitted = headers.get('Auto-Submitted')?.replace(/;.*/s, '').trim().toLowerCase();
      const automatic = submitted !== undefined && submitted !== 'no';
      if (!bulk && !automatic) return undefined;
      const symbols = [
        ...(list ? [{ name: 'BULK_LIST', score: options.listScore }] : []),
        ...(bulk && !list ? [{ name: 'BULK_MAIL', score: options.bulkScore }] : []),
      ];
      return {
        result: {
          bulk,
          list,
          unsubscribe,
          ...(oneClick && { oneClick }),
          automatic,
          ...(listId !== undefined && { listId }),
        },
        symbols,
      };
    },
  },
});

/** RFC 8058 section 3.1: one field that says so, and an https link to post to, of those in angle brackets (RFC 2369 section 2). */
function canUnsubscribeAtOnce(headers: Headers): boolean {
  const posts = headers.all('List-Unsubscribe-Post');
  const links = headers.all('List-Unsubscribe');
  if (posts.length !== 1 || links.length !== 1) return false;
  const link = /<\s{0,10}https:\/\/[^<>]{1,2000}>/i.test((links[0] ?? '').slice(0, 8000));
  return link && posts[0]?.trim().toLowerCase() === 'list-unsubscribe=one-click';
}

/** No name in DNS is longer, and no result needs more. RFC 2919 section 3. */
const listIdCharsMax = 255;

/** RFC 2919 section 3: what stands in the last angle brackets; some lists write the identifier bare. */
function listIdOf(headers: Headers): string | undefined {
  const value = headers.get('List-Id')?.trim();
  if (value === undefined || value === '') return undefined;
  const open = value.lastIndexOf('<');
  const close = value.indexOf('>', open);
  const id = open !== -1 && close !== -1 ? value.slice(open + 1, close) : value;
  return id.trim().toLowerCase().slice(0, listIdCharsMax);
}
