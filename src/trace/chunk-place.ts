// What a chunk says of itself and where it lies. Apart from chunks.ts because the library's types lead here, and they
// must not need the types of Node.

export interface ChunkHeader {
  /** Four ASCII characters. */
  readonly type: string;
  readonly codec: number;
  readonly flags: number;
  readonly storedLength: number;
  readonly rawLength: number;
}

/** A chunk and where it lies in the file. */
export interface ChunkPlace extends ChunkHeader {
  readonly offset: number;
}
