/** What the two ends of a channel post to each other. */
export type ChannelMessage =
  | { readonly kind: 'data'; readonly value: unknown }
  /** Replaces a value that can't be cloned any more. It counts as taken. */
  | { readonly kind: 'lost' }
  /** Replaces a value that the receiver could not deserialize. */
  | { readonly kind: 'unreadable' }
  /** The next value to be taken could not be deserialized. It counts as taken. */
  | { readonly kind: 'rejected' }
  /** Nobody will read, so no sender needs to wait. */
  | { readonly kind: 'unthrottled' }
  | { readonly kind: 'taken'; readonly count: number };
