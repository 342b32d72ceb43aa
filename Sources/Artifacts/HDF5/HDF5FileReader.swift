import CHDF5
import Foundation

/// Lists and reads the datasets of an HDF5 file in memory. Runs in the child only: it trusts
/// libhdf5 no more than the parent trusts this process.
struct HDF5FileReader {
  private var datasets: [HDF5Dataset] = []
  private var linksSeen = 0

  private static let linkLimit = 16_384
  private static let depthLimit = 12

  static func serve(_ image: [UInt8], _ channel: inout ChildChannel) throws(HDF5Refusal) {
    var image = image
    let access = H5Pcreate(semg_H5P_FILE_ACCESS())
    let size = image.count
    let configured = image.withUnsafeMutableBytes { bytes in
      H5Pset_fapl_core(access, 1 << 16, false) >= 0
        && H5Pset_file_image(access, bytes.baseAddress, size) >= 0
    }
    image = []
    guard configured else { throw HDF5Refusal(reason: "no memory to open the file") }
    let file = H5Fopen("model.weights.h5", semg_H5F_ACC_RDONLY(), access)
    guard file >= 0 else { throw HDF5Refusal(reason: "not an intact HDF5 file") }
    var reader = HDF5FileReader()
    try reader.list(group: file, path: "", depth: 0)
    channel.send(reader.listing())
    let count = try channel.receive(UInt32.self)
    for _ in 0..<count {
      let index = Int(try channel.receive(UInt32.self))
      guard reader.datasets.indices.contains(index) else {
        throw HDF5Refusal(reason: "no dataset number \(index)")
      }
      try reader.send(reader.datasets[index], of: file, to: &channel)
    }
  }

  private func listing() -> [UInt8] {
    var message = MessageWriter()
    message.append(HDF5Messages.listing)
    message.append(UInt32(datasets.count))
    for dataset in datasets {
      message.append(dataset.path)
      message.append(dataset.kind.rawValue)
      message.append(UInt8(dataset.size))
      message.append(UInt8(dataset.shape.count))
      for extent in dataset.shape { message.append(UInt64(extent)) }
    }
    return message.bytes
  }

  // MARK: Listing

  private mutating func list(group: hid_t, path: String, depth: Int) throws(HDF5Refusal) {
    guard depth <= Self.depthLimit else {
      throw HDF5Refusal(reason: "groups nested deeper than \(Self.depthLimit) at \(path)")
    }
    var info = H5G_info_t()
    guard H5Gget_info(group, &info) >= 0 else {
      throw HDF5Refusal(reason: "group /\(path) is damaged")
    }
    for index in 0..<info.nlinks {
      linksSeen += 1
      guard linksSeen <= Self.linkLimit else {
        throw HDF5Refusal(reason: "more than \(Self.linkLimit) groups and datasets")
      }
      let name = try linkName(group, index, path)
      let child = path.isEmpty ? name : "\(path)/\(name)"
      try checkLink(group, name, child)
      try listObject(group, name, child, depth)
    }
  }

  private func linkName(_ group: hid_t, _ index: hsize_t, _ path: String) throws(HDF5Refusal)
    -> String
  {
    var buffer = [CChar](repeating: 0, count: 256)
    let length = H5Lget_name_by_idx(
      group, ".", H5_INDEX_NAME, H5_ITER_INC, index, &buffer, buffer.count, semg_H5P_DEFAULT())
    guard length > 0, length < buffer.count else {
      throw HDF5Refusal(reason: "group /\(path) has a damaged or overlong name")
    }
    let bytes = buffer[..<length].map { UInt8(bitPattern: $0) }
    guard let name = String(validating: bytes, as: UTF8.self), !name.contains("/" as Character)
    else {
      throw HDF5Refusal(reason: "group /\(path) has a name that is not text")
    }
    return name
  }

  private func checkLink(_ group: hid_t, _ name: String, _ path: String) throws(HDF5Refusal) {
    var link = H5L_info_t()
    guard H5Lget_info(group, name, &link, semg_H5P_DEFAULT()) >= 0 else {
      throw HDF5Refusal(reason: "the link /\(path) is damaged")
    }
    switch link.type {
    case H5L_TYPE_HARD: return
    case H5L_TYPE_SOFT: throw HDF5Refusal(reason: "/\(path) is a soft link, not data")
    case H5L_TYPE_EXTERNAL:
      throw HDF5Refusal(reason: "/\(path) is an external link to another file, not data")
    default: throw HDF5Refusal(reason: "/\(path) is a link of an unknown kind")
    }
  }

  private mutating func listObject(_ group: hid_t, _ name: String, _ path: String, _ depth: Int)
    throws(HDF5Refusal)
  {
    guard path.utf8.count <= HDF5Messages.pathLimit else {
      throw HDF5Refusal(reason: "a path longer than \(HDF5Messages.pathLimit) bytes")
    }
    let object = H5Oopen(group, name, semg_H5P_DEFAULT())
    guard object >= 0 else { throw HDF5Refusal(reason: "/\(path) is damaged") }
    defer { H5Oclose(object) }
    switch H5Iget_type(object) {
    case H5I_GROUP: try list(group: object, path: path, depth: depth + 1)
    case H5I_DATASET:
      guard datasets.count < HDF5Messages.datasetLimit else {
        throw HDF5Refusal(reason: "more than \(HDF5Messages.datasetLimit) datasets")
      }
      datasets.append(try describe(object, path))
    default: throw HDF5Refusal(reason: "/\(path) is neither group nor dataset")
    }
  }

  private func describe(_ set: hid_t, _ path: String) throws(HDF5Refusal) -> HDF5Dataset {
    let creation = H5Dget_create_plist(set)
    let type = H5Dget_type(set)
    let space = H5Dget_space(set)
    defer {
      H5Sclose(space)
      H5Tclose(type)
      H5Pclose(creation)
    }
    guard creation >= 0, type >= 0, space >= 0 else {
      throw HDF5Refusal(reason: "dataset /\(path) is damaged")
    }
    try checkStorage(set, creation, path)
    let (kind, size) = try element(type, path)
    return HDF5Dataset(path: path, kind: kind, size: size, shape: try shape(space, path))
  }

  /// Values must lie in this file: compact, contiguous, or chunked with filters of libhdf5's own.
  private func checkStorage(_ set: hid_t, _ creation: hid_t, _ path: String) throws(HDF5Refusal) {
    switch H5Pget_layout(creation) {
    case H5D_COMPACT, H5D_CONTIGUOUS, H5D_CHUNKED: break
    case H5D_VIRTUAL:
      throw HDF5Refusal(reason: "/\(path) is a virtual dataset, whose values lie elsewhere")
    default: throw HDF5Refusal(reason: "/\(path) has an unknown layout")
    }
    guard H5Pget_external_count(creation) == 0 else {
      throw HDF5Refusal(reason: "/\(path) keeps its values in an external file")
    }
    let filters = H5Pget_nfilters(creation)
    guard (0...4).contains(filters) else {
      throw HDF5Refusal(reason: "/\(path) has \(filters) filters")
    }
    for index in 0..<filters {
      let filter = H5Pget_filter2(creation, UInt32(index), nil, nil, nil, 0, nil, nil)
      guard
        [H5Z_FILTER_DEFLATE, H5Z_FILTER_SHUFFLE, H5Z_FILTER_FLETCHER32].contains(Int32(filter))
      else { throw HDF5Refusal(reason: "/\(path) is packed with the unknown filter \(filter)") }
    }
    guard H5Dget_storage_size(set) > 0 else {
      throw HDF5Refusal(reason: "/\(path) holds no values")
    }
  }

  private func element(_ type: hid_t, _ path: String) throws(HDF5Refusal)
    -> (HDF5Dataset.Kind, Int)
  {
    let size = H5Tget_size(type)
    switch (H5Tget_class(type), size) {
    case (H5T_FLOAT, 2), (H5T_FLOAT, 4), (H5T_FLOAT, 8): return (.float, size)
    case (H5T_INTEGER, 1), (H5T_INTEGER, 2), (H5T_INTEGER, 4), (H5T_INTEGER, 8):
      return (.integer, size)
    case (H5T_OPAQUE, 2): return (.bfloat16, size)
    default:
      throw HDF5Refusal(reason: "/\(path) holds elements that are no numbers (\(size) bytes each)")
    }
  }

  private func shape(_ space: hid_t, _ path: String) throws(HDF5Refusal) -> [Int] {
    let kind = H5Sget_simple_extent_type(space)
    guard kind == H5S_SCALAR || kind == H5S_SIMPLE else {
      throw HDF5Refusal(reason: "/\(path) has no shape")
    }
    let rank = H5Sget_simple_extent_ndims(space)
    guard (0...Int32(HDF5Messages.rankLimit)).contains(rank) else {
      throw HDF5Refusal(reason: "/\(path) has \(rank) axes")
    }
    var extents = [hsize_t](repeating: 0, count: Int(rank))
    if rank > 0 && H5Sget_simple_extent_dims(space, &extents, nil) != rank {
      throw HDF5Refusal(reason: "/\(path) has a damaged shape")
    }
    var shape: [Int] = []
    for extent in extents {
      guard let extent = Int(exactly: extent) else {
        throw HDF5Refusal(reason: "/\(path) has an axis of \(extent)")
      }
      shape.append(extent)
    }
    return shape
  }

  // MARK: Values

  private func send(_ dataset: HDF5Dataset, of file: hid_t, to channel: inout ChildChannel)
    throws(HDF5Refusal)
  {
    let set = H5Dopen2(file, dataset.path, semg_H5P_DEFAULT())
    guard set >= 0, let count = dataset.elementCount else {
      throw HDF5Refusal(reason: "/\(dataset.path) is damaged")
    }
    defer { H5Dclose(set) }
    switch dataset.kind {
    case .float:
      var values = [Float](repeating: 0, count: count)
      try read(set, semg_H5T_NATIVE_FLOAT(), &values, dataset.path)
      send(values, to: &channel)
    case .integer:
      var values = [Int64](repeating: 0, count: count)
      try read(set, semg_H5T_NATIVE_INT64(), &values, dataset.path)
      send(values, to: &channel)
    case .bfloat16:
      var values = [UInt16](repeating: 0, count: count)
      let type = H5Dget_type(set)
      defer { H5Tclose(type) }
      try read(set, type, &values, dataset.path)
      send(values.map { Float(bitPattern: UInt32($0) << 16) }, to: &channel)
    }
  }

  private func read<Element: BitwiseCopyable>(
    _ set: hid_t, _ type: hid_t, _ values: inout [Element], _ path: String
  ) throws(HDF5Refusal) {
    let status = H5Dread(set, type, semg_H5S_ALL(), semg_H5S_ALL(), semg_H5P_DEFAULT(), &values)
    guard status >= 0 else { throw HDF5Refusal(reason: "the values of /\(path) are damaged") }
  }

  private func send<Element: BitwiseCopyable>(
    _ values: [Element], to channel: inout ChildChannel
  ) {
    channel.send([HDF5Messages.values])
    values.withUnsafeBytes { channel.send($0) }
  }
}
