/** The address of a module that is built to be a worker. */
declare module '*?worker&url' {
  const address: string
  export default address
}
