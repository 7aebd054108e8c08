import math, torch
def resample_matrix(n, m, dtype=torch.float64):
    K=(min(n,m)+1)//2-1
    a=torch.arange(m,dtype=torch.float64)[:,None]/m; b=torch.arange(n,dtype=torch.float64)[None]/n
    k=torch.arange(-K,K+1,dtype=torch.float64)
    return (torch.cos(2*math.pi*k*(a-b)[...,None]).sum(-1)/n).to(dtype)
import functools
_m=functools.cache(resample_matrix)
def up_act_down(x, activation, *, coefficients=None, factor=2.0, size=None, backend="auto"):
    n=x.shape[-1]; f=round(factor*n); size=size or n
    U=_m(n,f,x.dtype); D=_m(f,size,x.dtype)
    y=U@x@U.mT
    if activation=="poly":
        c=coefficients if coefficients.ndim==2 else coefficients[None]
        c=c[:,:,None,None]
        y=c[:,0]+y*(c[:,1]+y*c[:,2])
    elif activation!="identity":
        y=getattr(torch.nn.functional,activation)(y)
    return D@y@D.mT
def cross_covariance_attention(q,k,v,temperature,*,backend="auto"):
    qn=torch.nn.functional.normalize(q,dim=2); kn=torch.nn.functional.normalize(k,dim=2)
    A=torch.softmax(temperature[:,None,None]*(qn.mT@kn),-1)
    return v@A.mT
