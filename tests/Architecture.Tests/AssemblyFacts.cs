using System.Collections.Immutable;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;

namespace FtAkka.Architecture.Tests;

/// <summary>
/// What an assembly's metadata says it uses. Unlike an analyzer, metadata names every type that appears anywhere: in fields,
/// parameters, locals, base types and code.
/// </summary>
internal sealed class AssemblyFacts
{
    private AssemblyFacts(MetadataReader reader)
    {
        Name = reader.GetString(reader.GetAssemblyDefinition().Name);
        References = [.. reader.AssemblyReferences.Select(handle => reader.GetString(reader.GetAssemblyReference(handle).Name))];
        Types = [.. reader.TypeReferences.Select(handle => FullName(reader, handle))];
        Members = [.. reader.MemberReferences.Select(handle => reader.GetMemberReference(handle))
            .Select(member => $"{Parent(reader, member.Parent)}.{reader.GetString(member.Name)}")];
        NativeFunctions =
        [
            .. reader.MethodDefinitions
                .Select(reader.GetMethodDefinition)
                .Where(method => method.Attributes.HasFlag(System.Reflection.MethodAttributes.PinvokeImpl))
                .Select(method => reader.GetString(method.GetImport().Name)),
        ];
    }

    /// <summary>Simple name of the assembly.</summary>
    public string Name { get; }

    /// <summary>Simple names of the assemblies it references.</summary>
    public ImmutableArray<string> References { get; }

    /// <summary>Full names of the foreign types it mentions.</summary>
    public ImmutableArray<string> Types { get; }

    /// <summary>The foreign members it uses, as <c>Namespace.Type`1.Member</c>, whatever the type arguments.</summary>
    public ImmutableArray<string> Members { get; }

    /// <summary>Names of the native functions it declares.</summary>
    public ImmutableArray<string> NativeFunctions { get; }

    /// <summary>Reads an assembly that lies beside the tests.</summary>
    public static AssemblyFacts Read(string assemblyName)
    {
        using var file = new PEReader(File.OpenRead(Path.Combine(AppContext.BaseDirectory, $"{assemblyName}.dll")));
        return new AssemblyFacts(file.GetMetadataReader());
    }

    private static string FullName(MetadataReader reader, TypeReferenceHandle handle)
    {
        TypeReference type = reader.GetTypeReference(handle);
        string name = reader.GetString(type.Name);
        if (type.ResolutionScope.Kind == HandleKind.TypeReference)
        {
            return $"{FullName(reader, (TypeReferenceHandle)type.ResolutionScope)}.{name}";
        }
        string space = reader.GetString(type.Namespace);
        return space.Length == 0 ? name : $"{space}.{name}";
    }

    private static string Parent(MetadataReader reader, EntityHandle parent) => parent.Kind switch
    {
        HandleKind.TypeReference => FullName(reader, (TypeReferenceHandle)parent),
        HandleKind.TypeSpecification => GenericType(reader, (TypeSpecificationHandle)parent),
        _ => "",
    };

    /// <summary>The generic type that an instantiation is made of (ECMA-335 II.23.2.14: GENERICINST, CLASS or VALUETYPE, the type).</summary>
    private static string GenericType(MetadataReader reader, TypeSpecificationHandle handle)
    {
        BlobReader blob = reader.GetBlobReader(reader.GetTypeSpecification(handle).Signature);
        if (blob.ReadSignatureTypeCode() != SignatureTypeCode.GenericTypeInstance)
        {
            return "";
        }
        _ = blob.ReadSignatureTypeCode();
        EntityHandle generic = blob.ReadTypeHandle();
        return generic.Kind == HandleKind.TypeReference ? FullName(reader, (TypeReferenceHandle)generic) : "";
    }
}
