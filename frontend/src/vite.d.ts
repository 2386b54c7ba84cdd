/** The address of a module that is built to be a worker. */
declare module '*?worker&url' {
  const address: string
  export default address
}

/** CharLS as WebAssembly; only what is used of it. */
declare module '@cornerstonejs/codec-charls/decodewasmjs' {
  export interface JpegLsDecoder {
    /** Room for the encoded image, in the memory of WebAssembly. */
    getEncodedBuffer(bytes: number): Uint8Array
    decode(): void
    /** The decoded image, there until the next one is. */
    getDecodedBuffer(): Uint8Array<ArrayBuffer>
  }
  export default function charls(how: {
    locateFile(name: string): string
  }): Promise<{ JpegLSDecoder: new () => JpegLsDecoder }>
}
